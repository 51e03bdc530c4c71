//! The rules, which can be run by hand on paper: facts, attribution, commission, ledger, signatures, retry.
