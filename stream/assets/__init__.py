"""The bundled demo clip and the script that made it."""
