"""Binary performance counter logs (.blg): PDH records inside the buffers of an ETW log file."""
