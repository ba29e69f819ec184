"""The cluster: Dask workers that do what one machine would take too long over."""
