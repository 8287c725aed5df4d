"""Every figure of the cost model: its unit and where it comes from.

**Measured** means: a Go HTTP service with one busy core, 99 Hz, pushes of 15 s, on one process of Pyroscope (v1.19.3
with the v2 engine). No other language is measured yet: profiles of one language differ more among themselves than
languages do, so all use Go's figures until each is calibrated against the real bucket.
"""

import math
from typing import Final

GB: Final = 1e9  # bytes
MONTH_S: Final = 30 * 86_400  # seconds of the month that all figures are for
DAY_S: Final = 86_400

# -- what a service sends ----------------------------------------------------------------------------------------------
# Assumed: service.yaml does not say how busy pods are. How many a service has is the setting backend.podsPerService, by
# which the backend is sized as well.
CORES_PER_POD: Final = 1.0
PUSH_S: Final = 15.0  # seconds of one push; the agents' default, as in the measurement

# Measured: one push of CPU had 331 distinct stacks, out of 99 Hz x 15 s x 1 core = 1,485 samples.
_SAMPLES, _STACKS = 1485, 331
# Distinct stacks grow slower than samples (Heaps' law): fitted through that point and through one sample, one stack.
HEAPS_EXPONENT: Final = math.log(_STACKS) / math.log(_SAMPLES)  # 0.794

# Measured: 1.9 KB per push in compacted blocks (3.2 MB for 1,680 pushes, half of them CPU, half heap). Split as their
# raw sizes are: 54 KB of CPU to 21.5 KB of heap.
_PAIR, _RAW_CPU, _RAW_HEAP = 2 * 1900, 54.0, 21.5
STORED_BYTES_PER_STACK: Final = _PAIR * _RAW_CPU / (_RAW_CPU + _RAW_HEAP) / _STACKS  # 8.2
STORED_BYTES_PER_HEAP_PUSH: Final = _PAIR * _RAW_HEAP / (_RAW_CPU + _RAW_HEAP)  # 1,082

# Types whose pushes grow with the sampling rate. wall and offcpu: assumed to be like cpu.
RATE_TYPES: Final = ("cpu", "wall", "offcpu")
# Types with a rate of their own (bytes allocated, contention). All but alloc: assumed to be like alloc.
FIXED_TYPES: Final = ("alloc", "mutex", "block", "goroutine")
# What was measured, as (language, type); everything else is assumed and named so.
MEASURED: Final = frozenset({("go", "cpu"), ("go", "alloc")})

# -- what is kept ------------------------------------------------------------------------------------------------------
# Pyroscope deletes whole partitions of 6 h, 6 to 12 h after they expire (pkg/metastore/index/cleaner): 9 h on average.
DELETION_LAG_DAYS: Final = 9 / 24
# Measured: the merged hour of one type, 5 pods, is 42 KB compressed. An upper bound, since blocks share their symbols.
STORED_BYTES_PER_HOUR: Final = 42_000
# Age at which the bucket's lifecycle moves blocks to the cheaper class: only long-term profiles get that old.
INFREQUENT_AFTER_DAYS: Final = 35

# -- requests ----------------------------------------------------------------------------------------------------------
# Pyroscope compacts segments into one block per tenant and shard about every 10 s while profiles arrive.
COMPACTION_S: Final = 10.0

# -- prices ------------------------------------------------------------------------------------------------------------
# Amazon S3, list prices of us-east-1 (aws.amazon.com/s3/pricing, read 2026-08), USD. Other regions differ.
STANDARD_USD_GB: Final = 0.023  # a month, first 50 TB
INFREQUENT_USD_GB: Final = 0.0125  # a month, Standard-Infrequent Access
PUT_USD: Final = 5.0 / 1e6
GET_USD: Final = 0.4 / 1e6

NOT_INCLUDED: Final = "undeclared pods, compute of backend and agents, queries, KMS requests, transfer, the audit log"
