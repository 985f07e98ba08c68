# The command in the container "main".
main_process() {
    docker inspect -f '{{.State.Pid}}' main
}

# Start it; make it anew where it is missing, or a variable has changed: the ranks of machines can.
start_container() {
    until docker info; do sleep 2; done >/dev/null 2>&1
    if ! docker container inspect main >/dev/null 2>&1 || ! cmp -s variables made; then
        { docker logs main; docker rm -f main; } 2>&1 | grep -v 'No such container'
        env -i bash -c '. ./variables; . ./container' >/dev/null && cp variables made
    fi
    docker start main >/dev/null
}

# Run it to its end; `code` is its exit code. Where docker is down or restarts, its command has not ended by itself.
run() {
    attempts=0
    until [ "$is_stopping" ] || [[ $code =~ ^[0-9]+$ && $(systemctl is-active docker) != *activating ]]; do
        until start_container; do
            if ((++attempts > 60)); then code=126; return; fi
            sleep 5
        done
        docker wait main >/var/run/flow-command-code &
        await $!
        read code </var/run/flow-command-code
    done
}

# Its first process can ignore SIGTERM; docker itself waits for ten seconds.
ask_to_end() {
    { [ "$(tell 15 $(main_process))" ] && sleep 30; docker kill main; } &
}
