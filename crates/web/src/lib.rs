//! Everything that comes in over HTTP.
