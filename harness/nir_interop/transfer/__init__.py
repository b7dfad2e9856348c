"""One graph or network from one side to another: the only place that runs, compares, explains and reconciles a case."""
