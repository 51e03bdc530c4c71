//! Standard output that may be closed: `print!` and `println!` of this binary, in the place of the library's.
//!
//! Who reads may stop reading, as `head` does. What is printed then is for nobody and is dropped; the command goes on to its
//! end, gives up what it holds and says by its exit code what came of it. Invariant: a reader who leaves is no error. Any other failure to print is
//! one, and ends the program: an answer that was lost on a full disk was not given.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// As the library's, without its panic where nobody reads.
macro_rules! print {
    ($($argument:tt)*) => { $crate::output::write(format_args!($($argument)*)) };
}

/// As the library's, without its panic where nobody reads.
macro_rules! println {
    ($($argument:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints, unless nobody reads any more.
pub fn write(text: Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("headwater: the answer cannot be printed: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}
