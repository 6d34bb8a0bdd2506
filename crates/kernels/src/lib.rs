//! Numbers in, numbers out: the arithmetic of every statistic and normalisation.
