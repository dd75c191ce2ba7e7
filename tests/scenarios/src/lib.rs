//! Whole boots in QEMU: the scenarios are in `tests/`, what they are made of in `taoboot-harness`.
