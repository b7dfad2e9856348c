"""Whether two sides agree: the inputs on which it is asked, and the one function that decides."""
