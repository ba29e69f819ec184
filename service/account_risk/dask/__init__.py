"""The Dask engine: the same evaluation on a cluster, for sources that take one machine too long."""
