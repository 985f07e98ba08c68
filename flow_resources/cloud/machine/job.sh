# Install what ends the bid of a job, before anything that can fail: its time limit and its key are looked after meanwhile.
(
umask 077
cd /var/lib/flow-command
# A later run must not bring back the first key.
[ -s job.json ] ||
{{job_file}}
{{end_job}}
# Room for the note of its end, on a disk that its command has filled.
head -c 32768 /dev/zero >room
)
{{unit}}
