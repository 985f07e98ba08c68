#!/bin/bash
# Runs the command of this machine; flow-command.service starts it at every boot.
#
#     run_command.sh [SIGNAL]      SIGNAL, "SIGUSR1" for example, tells the command of a preemption
#
# The command has the same user, folder, environment and mounts at every boot. The installation has written:
#
#     environment  the exported variables of the first boot
#     nodes        of several machines: computes the variables by which they know each other; else empty
#     mounts       the folders that were mounted at the first boot, one a line
#     command      what is run, an executable file (host.sh); or
#     container    creates the container "main", which is started again until a variable changes (container.sh)
#     job.json     of a job: the command runs at each boot until it has ended by itself; end_job.py then ends the bid
#
# The exit code is the command's. A power-off is no end of it: SIGTERM is passed on, and nothing is noted.
cd /var/lib/flow-command
signal=$1
notice_file=/opt/mithril/MITHRIL_SIGNAL.yml
# When the last notice ends that has stood while the command runs; 0: none has. In memory: the disk can be full.
noticed=/var/run/flow-command-noticed

# Print when the notice that stands ends, in seconds; nothing where none stands. The file of an earlier boot can be there
# still: its end has passed. Without a readable end a notice stands for ten minutes, twice as long as the service's do.
notice() {
    grep -qs 'instance_status.*STATUS_\(PREEMPT\|RELOCAT\)ING' $notice_file || return
    end=$(sed -n "s/.*end_time[^0-9]*\([^\"']*\).*/\1/p" $notice_file)
    end=$(date -d "${end:-none}" +%s 2>/dev/null || expr $(stat -c %Y $notice_file) + 600)
    if [ $end -gt $(date +%s) ]; then echo $end; fi
}

# Print the processes that a process has started.
children() {
    cat /proc/$1/task/*/children
}

# Send a signal to the topmost processes that catch it, from a process downwards, and print which; it would kill any
# other.
tell() {
    if ((0x$(awk '/^SigCgt/{print $2}' /proc/$2/status) >> $1 - 1 & 1)); then
        kill -$1 $2 && echo $2
    else
        for child in $(children $2); do tell $1 $child; done
    fi
}

# Note the notices, and tell the command of each one, once; again of one that was withdrawn and came back. A command that
# does not catch the signal yet is told later.
watch() {
    told=
    while sleep 0.5; do
        end=
        if [ -e $notice_file ]; then end=$(notice); fi
        if [ -z "$end" ]; then told=; continue; fi
        echo $end >$noticed
        if [ "$signal" ] && [ $end != "$told" ] && pids=$(tell $(kill -l $signal) $(main_process)) && [ "$pids" ]; then
            told=$end
            echo "[flow-command] preemption: $signal sent to" $pids
        fi
    done
}

# Wait for the process that is the command, or waits for its container; `code` is its exit code. A signal to this shell
# interrupts `wait`.
await() {
    process=$1
    watch &
    watcher=$!
    while wait $process; code=$?; kill -0 $process; do :; done
    kill $watcher; wait $watcher
    process=
} 2>/dev/null

{{work}}

# Let end_job.py do its work, again where it failed; the command does not run again meanwhile.
end_job() {
    pause=5
    until python3 end_job.py "$@"; do
        sleep $pause
        ((pause += pause > 300 ? 0 : pause))
    done
    exit 0
}

# The machine is shut down, or the unit is stopped.
stop() {
    is_stopping=1
    if [ -z "$process" ]; then exit 0; fi
    ask_to_end
} >/dev/null 2>&1

trap stop TERM
if [ -e job-exit ]; then end_job report; fi
while read folder; do
    until mountpoint -q $folder || mount $folder; do sleep 5; done
done <mounts
if [ -e /usr/bin/nvidia-smi ]; then
    for _ in {1..24}; do nvidia-smi -L && break; sleep 5; done >/dev/null
fi
until env -i bash -c '. ./environment; . ./nodes; echo ${NODE_RANK:-0} >rank; export -p >variables'; do sleep 5; done
while :; do
    while [ "$(notice)" ]; do sleep 1; done
    rm -f /var/lib/flow/workload-exit
    echo 0 >$noticed
    code=
    run
    if [ "$is_stopping" ]; then exit 0; fi
    printf "EXIT_CODE=$code\nEXITED_AT=$(date -u +%FT%TZ)\n" >/var/lib/flow/workload-exit
    echo "[flow-command] ended with exit code $code"
    if [ ! -e job.json ]; then exit $code; fi
    # A job that ends while a notice stands has not ended: it saved its work, and runs again. The notice can have been
    # withdrawn while it saved: until the time that it named, the end is taken for that.
    if [ -z "$(notice)" ] && (($(<$noticed) + 0 <= $(date +%s))); then
        if [ $(<rank) != 0 ]; then exit 0; fi
        end_job exited $code
    fi
done
