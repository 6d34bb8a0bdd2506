//! The normalisation stage: device choice, batches and fallback.
