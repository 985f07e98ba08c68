# Keep the variables of the first boot for the command.
(umask 077; export -p >/var/lib/flow-command/environment)
