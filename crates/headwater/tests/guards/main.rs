//! Guards over the source itself: which crate may lean on which, and what a file looks like.
//!
//! Each guard is a pure function from a text to complaints, tried on a bad sample so that it can fail, and then run over
//! the repository. It leaves to clippy what clippy can see.

mod links;
mod repository;
mod tidy;
mod walls;
