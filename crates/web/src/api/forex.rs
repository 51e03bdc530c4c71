//! The forex dialect (Track360 OAuth).
