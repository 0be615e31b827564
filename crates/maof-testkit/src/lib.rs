//! For tests: fake clock, scripted upstream, contract suites, wire fixtures.
