#pragma once
#include <librdkafka/rdkafka.h>
// The mock cluster's header must follow librdkafka's own.
#include <librdkafka/rdkafka_mock.h>
