//! A database that is away, that says no, or whose answer is lost: nothing is doubled, nothing is lost, and it goes on by
//! itself.

mod cut_commits;
mod outage;
mod turned_down;
