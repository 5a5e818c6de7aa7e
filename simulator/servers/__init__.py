"""Three real servers on loopback that deliver a folder of exports as the county's systems would, faults included."""
