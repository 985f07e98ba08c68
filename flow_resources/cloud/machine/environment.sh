# Keep the variables of the first boot for the command, in a form that is exported anew also inside a function.
(umask 077; set -o posix; export -p >/var/lib/flow-command/environment)
