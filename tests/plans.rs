//! Plans: the cheapest statement that the engine at hand has, and what a change takes away.
