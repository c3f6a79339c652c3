//! What is read, and what is refused with which words.
