/etc/nabz/
