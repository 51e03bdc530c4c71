//! Databases, builders, receivers and a clock for the tests.
