"""Knowledge about Windows, as data: versions, pool limits, bug checks. Standard library and ``model`` only."""
