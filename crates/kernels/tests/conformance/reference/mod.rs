//! What the statistics truly are: moments in exact rational arithmetic, order statistics by plain definition.

pub mod exact;
pub mod order;
