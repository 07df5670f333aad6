"""One flag for a worker and its children: the worker is shutting down, start nothing new."""

import multiprocessing

# Made when the worker loads its code, before the pool forks: the children share it.
stopping = multiprocessing.Event()
