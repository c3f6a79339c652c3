//! What dates and times are read as and written as.
