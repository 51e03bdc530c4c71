//! Everything that goes out: postbacks and pulls, behind one guard on where it may connect.
