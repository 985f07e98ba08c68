# The command as a process of the machine.
main_process() {
    echo $process
}

# Run it to its end; `code` is its exit code.
run() {
    exec env -i bash -c '. ./variables; cd /workspace || cd /; exec /var/lib/flow-command/command' &
    echo $! >/var/run/flow-user-workload.pid
    await $!
    # What it has started can outlive it, and saves its work.
    if [ "$is_stopping" ]; then
        while kill -0 $asked; do sleep 0.1; done 2>/dev/null
    fi
}

# Print a process, and all that it and these have started.
family() {
    echo $1
    for child in $(children $1); do family $child; done
}

ask_to_end() {
    asked=$(family $process)
    kill $asked
}
