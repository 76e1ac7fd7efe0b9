//! The server has another history.
