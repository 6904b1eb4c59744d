"""Reports: runs and studies as one HTML page that needs nothing beside itself."""
