"""One module for each engine, written the way an expert of that engine would; bench/peers.py has their titles.

A module has

- `load(values)`: the engine's own in-memory form of a float64 NumPy array, not timed;
- `memory(data, full)`: the profile, and the z-scores as a new array in the engine's own form;
- `to_numpy(zscores)`: for the check, not timed;
- `parquet(source, folder, full)`: the profile of a Parquet file, with the z-scores written to a folder as one
  Parquet file, or as several whose names give the order;
- `cpu_seconds()` and `peak_bytes()` where the engine works in processes of its own.
"""
