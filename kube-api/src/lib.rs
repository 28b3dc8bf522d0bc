//! The API server as a library: one pipeline for every request, and the doors that speak HTTP.
