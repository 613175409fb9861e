#pragma once
#include <librdkafka/rdkafka.h>
// Include the mock cluster's header after librdkafka's own, on which it depends.
#include <librdkafka/rdkafka_mock.h>
