#pragma once
#include <librdkafka/rdkafka.h>
// The mock cluster's header has to follow the library's own.
#include <librdkafka/rdkafka_mock.h>
