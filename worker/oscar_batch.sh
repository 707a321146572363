#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# oscar-batch worker 1
# oscar-batch worker keeps to its lane
#
# OSCAR-Batch's worker for images without Python. It needs a POSIX shell and awk, and runs one
# command for every item of its lane:
#
#     sh oscar_batch.sh --command 'prog {input} {output_dir}'
#
# With curl and sha256sum it talks to the storage itself; without them the service must mount the data
# bucket, and the run folder and the output paths must lie in it. It takes the chunks of its own lane, in order, and no others: it
# neither steals nor repairs. docs/protocol.md says what every object means.
#
#     watch_over -> read_invocation -> wait_for_mount -> per chunk: claim, items, result -> beat "ended"
#
# No key is ever part of a text that a shell evaluates: keys live in variables and in arguments.
set -u
VERSION=sh-1
AGENT=oscar-batch-worker-sh/1
root=${OSCAR_BATCH_ROOT-} # for tests: stands before every fixed path
mounts=$root/mnt
function_config=$root/oscar/config/function_config.yaml
secrets=$root/var/run/secrets/providers
limit_of_reason=500
symbols=$(printf '\342\220')
mark=$(printf '\342\200\233')

# With a mount, OSCAR 4 marks every job as failed whose container has no writable /tmpfolder.
[ ! -d /oscar/config ] || mkdir -p /tmpfolder 2>/dev/null || :

# The tools work on bytes here; the user's command gets the locale of the container.
had_locale=${LC_ALL+yes} locale=${LC_ALL-}
LC_ALL=C
export LC_ALL

say() { printf 'oscar-batch: %s\n' "$*" >&2; }

die() {
    say "$*"
    why=$*
    exit 1
}

# ---------------------------------------------------------------------------------------- JSON

# Prints every scalar of a document as `path value`, such as `timing.beat_s 30`. Escapes are decoded;
# a control character becomes a blank.
read_json() {
    awk '
    function fail() { print "not JSON near character " at > "/dev/stderr"; bad = 1; exit 1 }
    function peek() { while (index(" \t\r\n", substr(text, at, 1)) && at <= size) at++; return substr(text, at, 1) }
    function utf8(code) {
        if (code < 32) return " "
        if (code < 128) return sprintf("%c", code)
        if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
        if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
        return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
    }
    function hex(digits,   i, n) {
        for (i = 1; i <= 4; i++) n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
        return n
    }
    function string(   out, c, code, low) {
        out = ""
        for (at++; at <= size; at++) {
            c = substr(text, at, 1)
            if (c == "\"") { at++; return out }
            if (c != "\\") { out = out (c < " " ? " " : c); continue }
            c = substr(text, ++at, 1)
            if (c == "u") {
                code = hex(substr(text, at + 1, 4)); at += 4
                if (code >= 55296 && code < 56320 && substr(text, at + 1, 2) == "\\u") {
                    low = hex(substr(text, at + 3, 4)); at += 6
                    code = 65536 + (code - 55296) * 1024 + low - 56320
                }
                out = out utf8(code)
            } else out = out (index("bfnrt", c) ? " " : c)
        }
        fail()
    }
    function value(path,   c, n, name) {
        c = peek()
        if (c == "\"") { print path " " string(); return }
        if (c == "{" || c == "[") {
            at++
            if (peek() == (c == "{" ? "}" : "]")) { at++; return }
            for (n = 0; ; n++) {
                if (c == "{") {
                    if (peek() != "\"") fail()
                    name = string()
                    if (peek() != ":") fail()
                    at++
                } else name = n
                value(path (path == "" ? "" : ".") name)
                if (peek() != ",") break
                at++
            }
            if (peek() != (c == "{" ? "}" : "]")) fail()
            at++
            return
        }
        if (!match(substr(text, at, 64), /^(-?[0-9][0-9.eE+-]*|true|false|null)/)) fail()
        print path " " substr(text, at, RLENGTH); at += RLENGTH
    }
    { text = text $0 "\n" }
    END { if (bad) exit 1; size = length(text); at = 1; value(""); if (peek() != "") fail() }'
}

# The text of stdin as a JSON string: one line, valid UTF-8 whatever comes in.
write_string() {
    # The dot at the end keeps a line break before it.
    { tr -d '\000' && printf .; } | awk '
    function put(text,   size, at, c, b, more, good, i, next_b) {
        size = length(text)
        for (at = 1; at <= size; at++) {
            c = substr(text, at, 1); b = byte[c]
            if (c == "\"" || c == "\\") printf "\\%s", c
            else if (b < 32 || b == 127) printf "\\u%04x", b
            else if (b < 128) printf "%s", c
            else {
                more = b >= 240 && b < 245 ? 3 : b >= 224 && b < 240 ? 2 : b >= 194 && b < 224 ? 1 : 0
                good = more
                for (i = 1; i <= more && good; i++) {
                    next_b = byte[substr(text, at + i, 1)]
                    if (next_b < 128 || next_b > 191) good = 0
                    if (i == 1 && (b == 224 && next_b < 160 || b == 237 && next_b > 159 || b == 240 && next_b < 144 || b == 244 && next_b > 143)) good = 0
                }
                if (good) { printf "%s", substr(text, at, more + 1); at += more } else printf "\\ufffd"
            }
        }
    }
    BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%c", i)] = i; printf "\"" }
    NR > 1 { put(last); printf "\\n" }
    { last = $0 }
    END { put(substr(last, 1, length(last) - 1)); printf "\"" }'
}

# Sets `quoted` to the argument as a JSON string; most need no process of their own.
quote() {
    case $1 in
    *[!A-Za-z0-9\ ./_:,=+~@%-]*) quoted=$(printf %s "$1" | write_string) ;;
    *) quoted="\"$1\"" ;;
    esac
}

# -------------------------------------------------------------------------------- the definition

# Prints what the worker needs of function_config.yaml as `path value`: block YAML as Go writes it.
read_definition() {
    awk '
    function stop(what) { print "line " NR ": " what > "/dev/stderr"; bad = 1; exit 1 }
    function scalar(text,   c, rest) {
        c = substr(text, 1, 1)
        if (c == "\"" || c == "\047") {
            if (length(text) < 2 || substr(text, length(text)) != c) stop("a quoted text goes on in the next line")
            text = substr(text, 2, length(text) - 2)
            if (c == "\047") { gsub(/\047\047/, "\047", text); return text }
            if (text ~ /\\[^"\\]/) stop("an escape that the worker does not know")
            gsub(/\\"/, "\"", text); gsub(/\\\\/, "\\", text); return text
        }
        if (index("|>&*!{[", c) && text != "{}" && text != "[]") stop("a form of YAML that the worker does not know")
        sub(/[ \t]+#.*$/, "", text)
        return text == "null" || text == "~" || text == "{}" || text == "[]" ? "" : text
    }
    /^[ \t]*(#|$)/ { next }
    /^[^ -]/ { top = $0; sub(/:.*/, "", top) }
    top != "storage_providers" && top != "output" && top != "mount" && top != "name" { next }
    {
        line = $0; depth = match(line, /[^ ]/) - 1; line = substr(line, depth + 1)
        # A list item one level below its key may have the indentation of the key itself.
        while (level && (indent[level] > depth || (indent[level] == depth && !(line ~ /^-/ && !item[level])))) level--
        while (line ~ /^- / || line == "-") {
            base = level ? path[level] : ""
            level++; indent[level] = depth; item[level] = 1
            path[level] = base (base == "" ? "" : ".") (count[base] + 0); count[base]++
            match(line, /^-[ ]*/); depth += RLENGTH; line = substr(line, RLENGTH + 1)
        }
        if (line == "") next
        key = ""
        if (match(line, /^("[^"]*"|\047[^\047]*\047|[^:"\047 ][^:]*):( |$)/)) {
            key = substr(line, 1, RLENGTH); sub(/:[ ]*$/, "", key); key = scalar(key)
            rest = substr(line, RLENGTH + 1); sub(/^[ ]+/, "", rest)
            here = (level ? path[level] "." : "") key
            if (rest == "") { level++; indent[level] = depth; item[level] = 0; path[level] = here; count[here] = 0 }
            else print here " " scalar(rest)
        } else if (level) print path[level] " " scalar(line)
        else stop("neither a key nor a list item")
    }
    END { if (bad) exit 1 }' "$function_config"
}

# The value of a path in a file of `path value` lines; empty if it is not there.
find_value() {
    while IFS= read -r found; do
        case $found in
        "$2 "*)
            printf %s "${found#"$2 "}"
            return
            ;;
        esac
    done <"$1"
}

# -------------------------------------------------------------------------------------- storage
# Keys are `bucket/key`. `curl` signs nothing here: its --aws-sigv4 of 7.88 spoils keys that need
# percent encoding, and older releases lack it.

encode() {
    case $1 in
    *[!A-Za-z0-9/._~-]*)
        encoded=$(TEXT=$1 awk 'BEGIN {
            for (i = 1; i < 256; i++) byte[sprintf("%c", i)] = i
            text = ENVIRON["TEXT"]
            for (at = 1; at <= length(text); at++) {
                c = substr(text, at, 1)
                if (c ~ /[A-Za-z0-9\/._~-]/) printf "%s", c; else printf "%%%02X", byte[c]
            }
        }')
        ;;
    *) encoded=$1 ;;
    esac
}

# The bytes of a hexadecimal text as octal escapes for printf.
escape_hex() {
    hex=$1 escaped=
    while [ -n "$hex" ]; do
        hex_rest=${hex#??}
        hex_byte=$((0x${hex%"$hex_rest"} ^ $2))
        escaped="$escaped\\$((hex_byte / 64))$((hex_byte / 8 % 8))$((hex_byte % 8))"
        hex=$hex_rest
    done
}

hash_text() {
    hashed=$(printf %s "$1" | sha256sum)
    hashed=${hashed%% *}
}

# Sets `inner` and `outer`, the two padded forms of an HMAC key given in hexadecimal.
pad_key() {
    padded=$1
    while [ ${#padded} -lt 128 ]; do padded=${padded}00; done
    escape_hex "$padded" 54
    inner=$escaped
    escape_hex "$padded" 92
    outer=$escaped
}

# shellcheck disable=SC2059 # the formats hold octal escapes only
hash_with_key() {
    hashed=$({ printf "$inner" && printf %s "$1"; } | sha256sum)
    escape_hex "${hashed%% *}" 0
    hashed=$({ printf "$outer" && printf "$escaped"; } | sha256sum)
    hashed=${hashed%% *}
}

# The signing key of one day, AWS signature version 4.
derive_key() {
    key_day=$1
    hashed=$(printf 'AWS4%s' "$secret_key" | od -An -v -tx1 | tr -d ' \n')
    [ ${#hashed} -le 128 ] || { hashed=$(printf 'AWS4%s' "$secret_key" | sha256sum) && hashed=${hashed%% *}; }
    for key_part in "$1" "$region" s3 aws4_request; do
        pad_key "$hashed"
        hash_with_key "$key_part"
    done
    pad_key "$hashed"
}

# request METHOD KEY [curl's arguments]: sets `status`, 000 if nothing was answered. The body of the
# answer is in $scratch/body, its headers in $scratch/headers. `item_mark` is sent as metadata.
request() {
    request_method=$1
    encode "$base_path/$2"
    request_path=$encoded
    shift 2
    stamp=$(date -u +%Y%m%dT%H%M%SZ)
    [ "${stamp%T*}" = "${key_day-}" ] || derive_key "${stamp%T*}"
    marked_name=${item_mark:+;x-amz-meta-item}
    hash_text "$request_method
$request_path

host:$host
x-amz-content-sha256:UNSIGNED-PAYLOAD
x-amz-date:$stamp
${item_mark:+x-amz-meta-item:$item_mark
}
host;x-amz-content-sha256;x-amz-date$marked_name
UNSIGNED-PAYLOAD"
    scope=${stamp%T*}/$region/s3/aws4_request
    hash_with_key "AWS4-HMAC-SHA256
$stamp
$scope
$hashed"
    [ "$request_method" != HEAD ] || set -- --head "$@"
    [ -z "${item_mark-}" ] || set -- --header "x-amz-meta-item: $item_mark" "$@"
    [ "$verify" != false ] || set -- --insecure "$@"
    status=$(curl --disable --silent --request "$request_method" --path-as-is --globoff --user-agent "$AGENT" \
        --connect-timeout 10 --speed-limit 1 --speed-time 60 --output "$scratch/body" --dump-header "$scratch/headers" \
        --write-out '%{http_code}' --header 'Expect:' --header "x-amz-date: $stamp" \
        --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --header "Authorization: AWS4-HMAC-SHA256 \
Credential=$access_key/$scope, SignedHeaders=host;x-amz-content-sha256;x-amz-date$marked_name, Signature=$hashed" \
        "$@" "$endpoint$request_path" 2>"$scratch/error") || status=000
}

# The same, repeated with growing pauses for up to `patience` seconds while the storage is away.
ask() {
    ask_until=$(($(seconds) + patience)) ask_pause=1 repeated=
    while :; do
        request "$@"
        case $status in
        000 | 408 | 429 | 5??) ;;
        *) return ;;
        esac
        [ "$(seconds)" -lt $ask_until ] || return
        sleep $ask_pause
        repeated=yes
        [ $ask_pause -ge 15 ] || ask_pause=$((ask_pause * 2))
    done
}

# Sets `shown` to where the mount has a `bucket/key`; fails if the mount does not cover it, or if
# a file name cannot hold it: `a//b` and `a/./b` would both be the file a/b.
find_in_mount() {
    [ -n "$mount_path" ] || return 1
    case /$1/ in
    *//* | */./* | */../*) return 1 ;;
    esac
    case $1 in
    "$mount_path"/*) shown=$mounts/$1 ;;
    *) return 1 ;;
    esac
}

# The objects of the run folder. Each function takes a name below it.
exists() {
    if [ -n "$direct" ]; then
        ask HEAD "$state/$1"
        case $status in
        200) return 0 ;;
        404) return 1 ;;
        *) die "the storage answered $status to HEAD $state/$1" ;;
        esac
    fi
    [ -e "$mounts/$state/$1" ]
}

# fetch KEY FILE [offset length]
fetch() {
    if [ -z "$direct" ]; then
        find_in_mount "$1" || return 1
        [ -f "$shown" ] || return 1
        if [ $# -eq 2 ]; then
            cat "$shown" >"$2"
        else
            tail -c "+$(($3 + 1))" "$shown" | head -c "$4" >"$2"
        fi
        return
    fi
    if [ $# -eq 2 ]; then
        ask GET "$1"
    else
        [ "$4" -gt 0 ] || { : >"$2" && return; }
        ask GET "$1" --range "$3-$(($3 + $4 - 1))"
    fi
    case $status in
    200 | 206) mv -f "$scratch/body" "$2" ;;
    404) return 1 ;;
    *) die "the storage answered $status to GET $1" ;;
    esac
}

# Writes an object over what may be there.
overwrite() {
    if [ -n "$direct" ]; then
        ask PUT "$state/$1" --upload-file "$2" --header 'Content-Type: application/json'
        [ "$status" = 200 ]
    else
        mkdir -p "$mounts/$state/${1%/*}" && cat "$2" >"$mounts/$state/$1"
    fi
}

# Writes a new object; fails if there is one. After a repeated PUT the object tells whose it is.
create() {
    if [ -z "$direct" ]; then
        create_at=$mounts/$state/$1
        [ ! -e "$create_at" ] || return 1
        mkdir -p "${create_at%/*}" && cat "$2" >"$create_at.$process" && mv "$create_at.$process" "$create_at" ||
            die "the mount refused $create_at"
        return
    fi
    ask PUT "$state/$1" --upload-file "$2" --header 'If-None-Match: *' --header 'Content-Type: application/json'
    case $status in
    200) return 0 ;;
    412 | 409) ;;
    *) die "the storage answered $status to PUT $state/$1" ;;
    esac
    [ -n "$repeated" ] && fetch "$state/$1" "$scratch/there" && cmp -s "$2" "$scratch/there"
}

# ---------------------------------------------------------------------------------- time and beats

# Centiseconds of a clock that nobody sets, without a process of its own.
ticks() {
    read -r uptime uptime_rest </proc/uptime
    now=${uptime%.*}${uptime#*.}
}

seconds() {
    ticks
    printf %s $((now / 100))
}

# Sets `decimal` to centiseconds as a number of seconds.
decimal_of() {
    decimal_rest=$(($1 % 100))
    [ $decimal_rest -ge 10 ] || decimal_rest=0$decimal_rest
    decimal=$(($1 / 100)).$decimal_rest
}

iso_now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# Writes the beat into a local file, from where the ticker takes it. Only builtins: it is called for
# every item.
note_beat() {
    rate=null
    if [ $((done_items + failed_items)) -gt 0 ]; then
        decimal_of $((item_ticks / (done_items + failed_items)))
        rate=$decimal
    fi
    printf '%s\n' "{\"schema\": \"oscar-batch/beat/1\", \"process\": \"$process\", \"state\": \"$beat_state\", \
\"why\": ${beat_why:-null}, \"signal\": ${beat_signal:-null}, \"round\": $round, \"chunk\": ${beat_chunk:-null}, \
\"item\": ${beat_item:-null}, \"chunks\": $chunks, \"done\": $done_items, \"failed\": $failed_items, \
\"startup_s\": $startup, \"seconds_per_item\": $rate, \"node\": $node, \"since\": \"$since\", \"version\": \"$VERSION\"}" >"$home/beat"
}

beat() {
    note_beat
    overwrite "beats/$process.json" "$home/beat" || say "the storage refused a beat"
}

# A mark: the settled items of the chunk and the item in hand.
write_mark() {
    {
        printf '{"schema": "oscar-batch/mark/1", "process": "%s", "attempt": %s, "item": %s, "items": [' \
            "$process" "$attempt" "$1"
        join_lines "$home/outcomes"
        printf ']}\n'
    } >"$scratch/mark"
    overwrite "marks/$chunk_key.$attempt_digits.json" "$scratch/mark"
}

join_lines() { awk '/^{.*}$/ { printf "%s%s", comma, $0; comma = ", " }' "$1"; }

# The process beside the main one: it kills what is past its time, and writes beats and marks. It
# ends the main process if an item is 60 s past its time, and says so if that process was killed.
tick() {
    scratch=$home/ticker
    ticks
    beat_due=$((now + beat_s * 100))
    mark_due=$beat_due
    while sleep 1 && [ ! -e "$home/over" ]; do
        kill -0 $$ || break
        ticks
        if read -r hand_pid hand_end hand_rest <"$home/hand" && [ -n "$hand_rest" ] && [ $now -ge "$hand_end" ]; then
            : >"$home/late"
            kill_group "$hand_pid"
            [ $now -lt $((hand_end + 6000)) ] || { kill -KILL $$ && exit; }
        fi
        if [ $now -ge $beat_due ]; then
            beat_due=$((now + beat_s * 100))
            IFS= read -r beat_text <"$home/beat"
            case $beat_text in
            *'}') printf '%s\n' "$beat_text" >"$scratch/beat" && overwrite "beats/$process.json" "$scratch/beat" ;;
            esac
        fi
        if [ $now -ge "$mark_due" ] && read -r chunk_key attempt attempt_digits chunk_begun chunk_rest <"$home/chunk" &&
            [ -n "$chunk_rest" ] && [ $now -ge $((chunk_begun + mark_after_s * 100)) ]; then
            mark_due=$((now + beat_s * 100))
            write_mark null
        fi
    done 2>/dev/null
    [ ! -e "$home/over" ] || return
    # The shell that started the main process says which signal it was.
    looks=0 beat_signal=
    until read -r beat_signal <"$home/signal" || [ $looks -ge 3 ]; do
        looks=$((looks + 1))
        sleep 1
    done 2>/dev/null
    read -r hand_pid hand_rest <"$home/hand" && kill_group "$hand_pid"
    IFS= read -r beat_text <"$home/beat"
    if [ "${beat_signal:-0}" -gt 0 ]; then
        beat_end="\"state\": \"ended\", \"why\": \"signal $beat_signal\", \"signal\": $beat_signal, \"round\": "
        printf '%s\n' "${beat_text%%'"state": '*}$beat_end${beat_text#*'"round": '}" >"$scratch/beat"
        overwrite "beats/$process.json" "$scratch/beat"
    fi
    rm -rf "$home"
}

kill_group() {
    if [ -n "$grouped" ]; then
        kill -KILL -- "-$1" 2>/dev/null
    fi
    kill -KILL "$1" 2>/dev/null
}

# ----------------------------------------------------------------------------------- one item

# Splits the command as a shell would, without expanding anything: a word a line.
split_command() {
    printf '%s\n' "$1" | awk '
    { text = text (NR > 1 ? "\n" : "") $0 }
    END {
        for (at = 1; at <= length(text); at++) {
            c = substr(text, at, 1)
            if (quote == "\047") { if (c == quote) quote = ""; else word = word c }
            else if (c == "\\") {
                c = substr(text, ++at, 1)
                word = word (quote != "" && c != "\"" && c != "\\" ? "\\" : "") c; open = 1
            }
            else if (quote != "") { if (c == quote) quote = ""; else word = word c }
            else if (c == "\"" || c == "\047") { quote = c; open = 1 }
            else if (index(" \t\r\n", c)) { if (open) print word; word = ""; open = 0 }
            else { word = word c; open = 1 }
            if (index(word, "\n")) { print "a line break inside a word" > "/dev/stderr"; exit 1 }
        }
        if (quote != "") { print "a quotation mark is not closed" > "/dev/stderr"; exit 1 }
        if (open) print word
    }'
}

# Sets `filled` to a word of the command with its placeholders replaced; other braces stay.
fill_word() {
    filled= word_rest=$1
    while :; do
        case $word_rest in
        *'{'*) ;;
        *) break ;;
        esac
        filled=$filled${word_rest%%'{'*}
        word_rest=${word_rest#*'{'}
        case $word_rest in
        'input}'*) filled=$filled$input ;;
        'output_dir}'*) filled=$filled$output ;;
        'key}'*) filled=$filled$key ;;
        'name}'*) filled=$filled$name ;;
        'stem}'*) filled=$filled$stem ;;
        *)
            filled=$filled'{'
            continue
            ;;
        esac
        word_rest=${word_rest#*'}'}
    done
    filled=$filled$word_rest
}

# Sets `name`, at most 255 bytes with the extension kept, and `stem`.
name_item() {
    name=${key##*/}
    case $name in
    '' | . | ..) name=item ;;
    esac
    extension=
    case $name in
    ?*.*) extension=.${name##*.} ;;
    esac
    [ ${#extension} -le 32 ] || extension=
    stem=${name%"$extension"}
    if [ ${#name} -gt 255 ]; then
        # Cut on a border between characters.
        stem=$(printf %s "$stem" | head -c $((255 - ${#extension})) | awk '{
            for (cut = length($0); cut > length($0) - 4 && substr($0, cut, 1) >= sprintf("%c", 128); cut--)
                if (substr($0, cut, 1) >= sprintf("%c", 192)) { cut--; break }
            print substr($0, 1, cut) }')
        name=$stem$extension
    fi
}

# Sets `mounted_key` to the name under which rclone shows the key: a control character as its symbol
# (U+2400 and its code, DEL as U+2421), a symbol of the key itself behind the mark U+201B. It cannot
# open a key with that mark.
name_in_mount() {
    mounted_key=$key
    case $key in
    *"$mark"*) return 1 ;;
    *[[:cntrl:]]* | *"$symbols"*)
        mounted_key=$(printf %s "$key" | awk '
        BEGIN { for (i = 1; i < 32; i++) code[sprintf("%c", i)] = 128 + i; code[sprintf("%c", 127)] = 161 }
        {
            for (at = 1; at <= length($0); at++) {
                c = substr($0, at, 1); third = substr($0, at + 2, 1)
                if (c in code) printf "\342\220%c", code[c]
                else if (substr($0, at, 2) == "\342\220" && third > "\200" && (third < "\240" || third == "\241")) {
                    printf "\342\200\233\342\220%s", third; at += 2
                } else printf "%s", c
            }
        }')
        ;;
    esac
}

# Sets `input` to the mounted file, by a link where its name there is not the item's own.
use_mounted() {
    [ -f "$in_mount" ] || return 1
    input=$in_mount
    [ "$mounted_key" != "$key" ] || return 0
    input=$box/in/$name
    ln -s "$in_mount" "$input"
}

# Sets `input` to a file whose last part is the item's own name: in the mount, else a copy.
# Where there is none, `input_kind` says whether the storage has no such object.
find_input() {
    in_mount= input_kind=input
    if name_in_mount && find_in_mount "$data_bucket/$mounted_key"; then
        in_mount=$shown
        use_mounted && return 0
    fi
    input=$box/in/$name
    if [ -n "$direct" ]; then
        ask GET "$data_bucket/$key"
        case $status in
        200)
            mv "$scratch/body" "$input" && return 0
            reason="it cannot be stored at $input"
            ;;
        *)
            reason="the mount does not show it, and the storage answered $status"
            [ "$status" != 404 ] || input_kind=missing
            ;;
        esac
        return 1
    fi
    # rclone looks again after 10 s.
    looks=0
    while [ $looks -lt "$look_for_s" ] && [ -n "$in_mount" ]; do
        sleep 1
        looks=$((looks + 1))
        use_mounted && return 0
    done
    reason="the mount does not show it"
    return 1
}

# Runs the command for the item; sets `kind` and `reason` if it failed, and writes the end of its
# stderr to $box/stderr. What it leaves running is killed with its process group.
run_command() {
    set --
    while IFS= read -r word; do
        fill_word "$word"
        set -- "$@" "$filled"
    done <"$home/words"
    mkfifo "$box/pipe"
    tail -c 2048 <"$box/pipe" >"$box/stderr" &
    tail_pid=$!
    rm -f "$home/late"
    (
        trap - TERM
        if [ -n "$had_locale" ]; then LC_ALL=$locale; else unset LC_ALL; fi
        # shellcheck disable=SC2086 # empty, or one word
        exec $grouped "$@"
    ) </dev/null >/dev/null 2>"$box/pipe" 4<&- &
    command_pid=$!
    ticks
    item_end=$((now + item_timeout_s * 100))
    printf '%s %s .\n' $command_pid $item_end >"$home/hand"
    wait_for $command_pid
    code=$ended
    # What holds stderr open longer than this is outside the process group, and is not waited for.
    ticks
    printf '%s %s .\n' $tail_pid $((now + 200)) >"$home/hand"
    [ ! -e "$home/late" ] || kind=time-out reason="took longer than $item_timeout_s s"
    [ -z "$grouped" ] || kill -KILL -- "-$command_pid" 2>/dev/null
    wait_for $tail_pid
    : >"$home/hand"
    [ -z "$kind" ] || return 1
    [ "$code" -ne 0 ] || return 0
    if [ "$code" -gt 128 ] && signal_name=$(kill -l $((code - 128)) 2>/dev/null); then
        kind=signal reason="ended by signal SIG${signal_name#SIG}"
    else
        kind=exit reason="exit code $code"
    fi
    return 1
}

# Waits for a process through signals to this shell; sets `ended`. A SIGTERM leaves it 20 s.
wait_for() {
    while :; do
        had=$terminated
        wait "$1"
        ended=$?
        [ "$terminated" != "$had" ] || return 0
        ticks
        printf '%s %s .\n' "$1" $((now + 2000)) >"$home/hand"
    done
}

type_of() {
    case $1 in
    *.json) content_type=application/json ;;
    *.txt | *.log) content_type=text/plain ;;
    *.csv) content_type=text/csv ;;
    *.htm | *.html) content_type=text/html ;;
    *.xml) content_type=text/xml ;;
    *.jpg | *.jpeg) content_type=image/jpeg ;;
    *.png) content_type=image/png ;;
    *.gif) content_type=image/gif ;;
    *.tif | *.tiff) content_type=image/tiff ;;
    *.webp) content_type=image/webp ;;
    *.mp3) content_type=audio/mpeg ;;
    *.wav) content_type=audio/x-wav ;;
    *.mp4) content_type=video/mp4 ;;
    *.webm) content_type=video/webm ;;
    *.pdf) content_type=application/pdf ;;
    *.zip) content_type=application/zip ;;
    *) content_type=application/octet-stream ;;
    esac
}

# Whether an output path takes a file: prefix and suffix filters as OSCAR applies them.
takes() {
    for filter in prefix suffix; do
        taken=
        filter_number=0
        while wanted=$(find_value "$home/definition" "output.$1.$filter.$filter_number") && [ -n "$wanted" ]; do
            case $filter:$2 in
            prefix:"$wanted"* | suffix:*"$wanted") taken=yes ;;
            esac
            filter_number=$((filter_number + 1))
        done
        [ $filter_number -eq 0 ] || [ -n "$taken" ] || return 1
    done
}

# Stores the files below a folder; `pass` is first (all but the proof) or last (the proof).
store_below() {
    for path in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -d "$path" ] && [ ! -L "$path" ]; then
            store_below "$path" || return 1
        elif [ -f "$path" ]; then
            relative=${path#"$output/"}
            case $pass:$relative in
            first:"$proof_name") continue ;;
            last:"$proof_name") ;;
            last:*) continue ;;
            esac
            store_file "$path" "$relative" || return 1
        fi
    done
}

# To every output path of the service that takes it.
store_file() {
    store_number=0
    while store_path=$(find_value "$home/definition" "output.$store_number.path") && [ -n "$store_path" ]; do
        store_path=${store_path#/}
        store_path=${store_path%/}
        if takes $store_number "$2"; then
            store_at "$1" "$store_path/$folder$2" || return 1
        fi
        store_number=$((store_number + 1))
    done
}

store_at() {
    if [ -z "$direct" ]; then
        if find_in_mount "$2" && mkdir -p "${shown%/*}" && cat "$1" >"$shown"; then
            return 0
        fi
        reason="the mount refused the output $2"
        return 1
    fi
    item_mark=
    ask HEAD "$2"
    if [ "$status" = 200 ]; then
        there=$(tr -d '\r' <"$scratch/headers" | awk 'tolower($1) == "x-amz-meta-item:" { print $2 }')
        if [ -n "$there" ] && [ "$there" != "$key_hash" ]; then
            reason="$2 is already an output of another item"
            return 1
        fi
    fi
    type_of "$2"
    item_mark=$key_hash
    ask PUT "$2" --upload-file "$1" --header "Content-Type: $content_type"
    item_mark=
    [ "$status" != 200 ] || return 0
    reason="the storage answered $status to the output $2"
    return 1
}

# Everything for one item, and its outcome.
process_item() {
    kind= reason=
    item_number=$((item_number + 1))
    box=$home/item.$item_number
    output=$box/out
    mkdir -p "$box/in" "$output" || die "cannot create $box"
    : >"$box/stderr"
    name_item
    quote "$key"
    beat_item=$quoted
    note_beat
    ticks
    item_begun=$now
    if ! find_input; then
        kind=$input_kind
    elif run_command; then
        hash_text "$key"
        key_hash=$hashed
        place_outputs
        for pass in first last; do
            store_below "$output" || {
                kind=upload
                break
            }
        done
    fi
    ticks
    item_ticks=$((item_ticks + now - item_begun))
    stderr_text='""'
    [ -z "$kind" ] || stderr_text=$(write_string <"$box/stderr")
    chmod -R u+rwx "$box" 2>/dev/null
    rm -rf "$box"
    # A command that SIGTERM ended has no outcome: the next attempt runs it again.
    [ -z "$terminated" ] || [ -z "$kind" ] || return 0
    decimal_of $((now - item_begun))
    settle "$stderr_text"
}

# Where the outputs of the item go below the output path, and which of them is stored last.
place_outputs() {
    below=${key#"$data_prefix"}
    folder=
    case $below in
    */*) folder=${below%/*}/ ;;
    esac
    below=${key##*/}
    proof_name=${below%"$proof_strip"}$proof_suffix
}

# Adds the outcome of the item to those of the chunk.
settle() {
    : >"$home/settled"
    if [ -z "$kind" ]; then
        done_items=$((done_items + 1))
        printf '{"line": %s, "state": "done", "seconds": %s, "tries": %s}\n' "$line" "$decimal" "$tries" >>"$home/outcomes"
        return
    fi
    failed_items=$((failed_items + 1))
    say "line $line failed: $kind: $reason"
    quote "$key"
    quoted_key=$quoted
    quote "$(printf %s "$reason" | tr -s '[:space:]' ' ' | head -c $limit_of_reason)"
    printf '{"line": %s, "state": "failed", "seconds": %s, "tries": %s, "key": %s, "kind": "%s", "reason": %s, "stderr": %s}\n' \
        "$line" "$decimal" "$tries" "$quoted_key" "$kind" "$quoted" "$1" >"$home/outcome"
    cat "$home/outcome" >>"$home/outcomes"
}

# -------------------------------------------------------------------------------------- one chunk

# Sets `padded_number` to a number with leading zeros.
pad() {
    padded_number=$1
    while [ ${#padded_number} -lt "$2" ]; do padded_number=0$padded_number; done
}

# Sets `attempt` to the next free one of the chunk; fails if the chunk has a result.
find_attempt() {
    attempt=1
    [ "$exclusive" = true ] && exists "results/$chunk_key.json" && return 1
    while pad $attempt 3 && attempt_digits=$padded_number && exists "claims/$chunk_key.$attempt_digits"; do
        [ "$exclusive" != true ] && exists "results/$chunk_key.$attempt_digits.json" && return 1
        attempt=$((attempt + 1))
    done
    return 0
}

claim() {
    while :; do
        find_attempt || return 1
        printf '{"schema": "oscar-batch/claim/1", "process": "%s", "attempt": %s, "since": "%s"}\n' \
            "$process" $attempt "$(iso_now)" >"$home/claim"
        create "claims/$chunk_key.$attempt_digits" "$home/claim" && return 0
    done
}

# From the marks of earlier attempts: their outcomes (the lower attempt wins), and the points of the
# items that were in hand when a cautious attempt died.
read_marks() {
    : >"$home/blame"
    : >"$home/inherited-lines"
    earlier=1
    while [ $earlier -lt "$attempt" ]; do
        pad $earlier 3
        if fetch "$state/marks/$chunk_key.$padded_number.json" "$home/mark"; then
            split_outcomes "$home/mark" >>"$home/inherited"
            read_json <"$home/mark" >"$home/mark.values" 2>/dev/null || :
            in_hand=$(find_value "$home/mark.values" item)
            case $earlier:$in_hand in
            1:* | *: | *:null) ;;
            *) printf '%s %s\n' "$in_hand" "$(weigh_death "$(find_value "$home/mark.values" process)")" >>"$home/blame" ;;
            esac
        fi
        earlier=$((earlier + 1))
    done
    awk -v settled="$home/inherited-lines" '
    match($0, /"line"[ ]*:[ ]*[0-9]+/) {
        line = substr($0, RSTART, RLENGTH); gsub(/[^0-9]/, "", line)
        if (!(line in seen)) { print; print line > settled }
        seen[line] = 1
    }' "$home/inherited" >"$home/outcomes"
}

# 2 points for a process that was seen to die by a signal, 1 for one that vanished, 0 for one that
# ended in order.
weigh_death() {
    if fetch "$state/beats/$1.json" "$home/dead" && read_json <"$home/dead" >"$home/dead.values"; then
        case $(find_value "$home/dead.values" state):$(find_value "$home/dead.values" signal) in
        ended:[0-9]*) printf 2 ;;
        ended:*) printf 0 ;;
        *) printf 1 ;;
        esac
        return
    fi
    printf 1
}

# The elements of the member `items` of a document, one a line, as they are.
split_outcomes() {
    awk '
    { text = text $0 " " }
    END {
        size = length(text)
        for (at = 1; at <= size; at++) {
            c = substr(text, at, 1)
            if (inside) {
                if (c == "\\") at++
                else if (c == "\"") { inside = 0; if (depth == 1) last = substr(text, from, at - from) }
                continue
            }
            if (c == "\"") { inside = 1; from = at + 1 }
            else if (c == "{" || c == "[") {
                depth++
                if (depth == 2) member = last
                if (depth == 3 && member == "items") start = at
            } else if (c == "}" || c == "]") {
                if (depth == 3 && member == "items") print substr(text, start, at - start + 1)
                depth--
            }
        }
    }' "$1"
}

is_settled() { grep -qx "$line" "$home/inherited-lines"; }

# Sets `points` and `deaths` of the line.
find_blame() {
    # shellcheck disable=SC2046 # two numbers
    set -- $(awk -v line="$line" '$1 == line && $2 { sum += $2; n++ } END { print sum + 0, n + 0 }' "$home/blame")
    points=$1 deaths=$2
}

# Claims the chunk and works it off; its result is the last that is written.
process_chunk() {
    pad "$chunk" 6
    chunk_key=$round_digits/$lane_digits/$padded_number
    chunk_name=$lane_digits/$padded_number
    claim || return 0
    beat_chunk="\"$chunk_name.$attempt_digits\""
    : >"$home/outcomes"
    : >"$home/inherited"
    tries=1
    [ "$attempt" -eq 1 ] || read_marks
    fetch "$index" "$home/keys" "$offset" "$length" || die "the index $index is not there"
    started=$(iso_now)
    ticks
    [ "$attempt" -gt 1 ] || printf '%s %s %s %s .\n' "$chunk_key" "$attempt" "$attempt_digits" "$now" >"$home/chunk"
    process_lines <"$home/keys" || return 1
    : >"$home/chunk"
    [ "$attempt" -eq 1 ] || write_mark null
    beat_item=
    write_result
    chunks=$((chunks + 1))
    beat
}

process_lines() {
    line=$start
    while IFS= read -r key; do
        if [ -n "$terminated" ]; then
            write_mark null
            return 1
        fi
        if [ "$attempt" -eq 1 ]; then
            process_item
        elif ! is_settled; then
            process_cautiously
        fi
        line=$((line + 1))
    done
    [ -z "$terminated" ] || return 1
    [ "$line" -gt "$end" ] || die "the index ends before line $line"
}

process_cautiously() {
    find_blame
    tries=$((deaths + 1))
    if [ "$points" -ge 4 ]; then
        decimal=0 tries=$deaths
        kind="killed its worker" reason="killed its worker"
        if ! awk -v line="$line" '$1 == line && $2 == 2 { seen = 1 } END { exit !seen }' "$home/blame"; then
            kind=vanished reason="its worker vanished $deaths times with it"
        fi
        settle '""'
    else
        write_mark "$line" || die "the storage refused a mark, without which an item that kills workers is not found"
        process_item
    fi
    write_mark null
}

write_result() {
    result=results/$chunk_key.json
    [ "$exclusive" = true ] || result=results/$chunk_key.$attempt_digits.json
    {
        printf '{"schema": "oscar-batch/result/1", "process": "%s", "round": %s, "lane": %s, "chunk": %s, "attempt": %s, ' \
            "$process" "$round" "$lane" "$chunk" "$attempt"
        printf '"started": "%s", "finished": "%s", "sealed": false, "items": [' "$started" "$(iso_now)"
        join_lines "$home/outcomes"
        printf ']}\n'
    } >"$home/result"
    create "$result" "$home/result" || say "chunk $chunk_name has a result already: this one is dropped"
}

# --------------------------------------------------------------------------------------- the run

# The value of a member of the invocation, which must be there.
member() {
    member_value=$(find_value "$home/invocation" "$1")
    [ -n "$member_value" ] || die "the invocation has no $1"
}

number() {
    member "$1"
    case $member_value in
    *[!0-9]*) die "$1 of the invocation is not a whole number: $member_value" ;;
    esac
}

# A time in whole seconds, at least one.
time_of() {
    member "$1"
    case $member_value in
    *[!0-9.]* | .*) die "$1 of the invocation is not a number of seconds: $member_value" ;;
    esac
    member_value=${member_value%%.*}
    [ "$member_value" -gt 0 ] || member_value=1
}

read_invocation() {
    if [ -n "${INPUT_FILE_PATH-}" ]; then cat "$INPUT_FILE_PATH"; else printf %s "${EVENT-}"; fi |
        read_json >"$home/invocation" || die "the invocation is not JSON"
    member schema
    [ "$member_value" = oscar-batch/worker/1 ] || die "this worker does not know the schema $member_value"
    member worker && worker=$member_value
    member state && state=${member_value%/}
    member data && data=$member_value
    member index && index=$member_value
    number round && round=$member_value
    number lane && lane=$member_value
    number table.header_bytes && header_bytes=$member_value
    number table.row_bytes && row_bytes=$member_value
    time_of item_timeout_s && item_timeout_s=$member_value
    time_of timing.beat_s && beat_s=$member_value
    time_of timing.mark_after_s && mark_after_s=$member_value
    time_of timing.storage_patience_s && patience=$member_value
    exclusive=$(find_value "$home/invocation" exclusive)
    proof_strip=$(find_value "$home/invocation" proof.strip)
    proof_suffix=$(find_value "$home/invocation" proof.suffix)
    data_bucket=${data%%/*}
    data_prefix=
    case $data in
    */*) data_prefix=${data#*/} ;;
    esac
    pad "$round" 3 && round_digits=$padded_number
    pad "$lane" 5 && lane_digits=$padded_number
    process=$worker-$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
    quote "${RESOURCE_ID-}"
    node=$quoted
}

# The storage of the service: address, keys, and whether this worker can talk to it itself.
read_storage() {
    read_definition >"$home/definition" || die "cannot read $function_config"
    endpoint=$(find_value "$home/definition" storage_providers.minio.default.endpoint)
    region=$(find_value "$home/definition" storage_providers.minio.default.region)
    verify=$(find_value "$home/definition" storage_providers.minio.default.verify)
    region=${region:-us-east-1} endpoint=${endpoint%/} verify=${verify:-true}
    mount_path=$(find_value "$home/definition" mount.path)
    mount_path=${mount_path#/}
    mount_path=${mount_path%/}
    host=${endpoint#*://}
    base_path=
    case $host in
    */*) base_path=/${host#*/} host=${host%%/*} ;;
    esac
    endpoint=${endpoint%"$base_path"}
    # The port of the scheme is no part of the header that is signed.
    case $endpoint in
    http://*:80 | https://*:443) host=${host%:*} ;;
    esac
    access_key=$(cat "$secrets/minio.default/accessKey" 2>/dev/null)
    secret_key=$(cat "$secrets/minio.default/secretKey" 2>/dev/null)
    direct=
    if [ -z "${OSCAR_BATCH_NO_CURL-}" ] && [ -n "$endpoint" ] && [ -n "$access_key" ] &&
        command -v curl >/dev/null && command -v sha256sum >/dev/null; then
        direct=yes
    fi
}

# This worker has the keys of one store.
check_outputs() {
    number_of_output=0
    while [ -n "$(find_value "$home/definition" "output.$number_of_output.path")" ]; do
        provider=$(find_value "$home/definition" "output.$number_of_output.storage_provider")
        case $provider in
        '' | minio | minio.default) ;;
        *) die "output to $provider: the worker in sh stores to minio.default only; use the kit without --sh" ;;
        esac
        number_of_output=$((number_of_output + 1))
    done
}

# Without curl everything must lie in the mount: said before anything starts.
check_mount() {
    if [ -n "$mount_path" ]; then
        wait_for_mount
    fi
    [ -z "$direct" ] || return 0
    [ -n "$mount_path" ] || die "without curl and sha256sum the service must mount the data bucket: set \`mount\` in its definition"
    find_in_mount "$state/plan.json" ||
        die "without curl and sha256sum the mount must cover $state, and it is $mount_path: set state.bucket and state.prefix"
    number_of_output=0
    while output_path=$(find_value "$home/definition" "output.$number_of_output.path") && [ -n "$output_path" ]; do
        output_path=${output_path#/}
        find_in_mount "${output_path%/}/x" ||
            die "without curl and sha256sum the mount must cover the output path $output_path, and it is $mount_path"
        number_of_output=$((number_of_output + 1))
    done
    waited=0
    while [ ! -f "$mounts/$index" ]; do
        [ $waited -lt $look_for_s ] || die "after $look_for_s s the mount does not show $index"
        waited=$((waited + 1))
        sleep 1
    done
}

# OSCAR may start the script before the bucket is mounted.
wait_for_mount() {
    waited=0
    while ! awk -v path="/mnt/$mount_path" '{ gsub(/\\040/, " ", $2) } $2 == path { found = 1 } END { exit !found }' "$root/proc/mounts"; do
        # A mount that was simulated by copies is no mount, and has files.
        [ -z "$(ls -A "$mounts/$mount_path" 2>/dev/null)" ] || return 0
        if [ $waited -ge "$look_for_s" ]; then
            [ -n "$direct" ] || die "after $look_for_s s $mounts/$mount_path is not mounted"
            say "after $look_for_s s $mounts/$mount_path is not mounted: the files are fetched"
            mount_path=
            return
        fi
        waited=$((waited + 1))
        sleep 1
    done
}

# The rows of this lane as `chunk start end offset length` lines.
read_rows() {
    table=$state/rounds/$round_digits/chunks.jsonl
    fetch "$table" "$home/table" 0 "$header_bytes" || die "the chunk table $table is not there"
    read_json <"$home/table" >"$home/header" || die "the header of $table is not JSON"
    [ "$(find_value "$home/header" schema)" = oscar-batch/chunks/1 ] || die "this worker does not know the schema of $table"
    before=0 lane_number=1
    while [ $lane_number -lt "$lane" ]; do
        before=$((before + $(find_value "$home/header" lanes.$((lane_number - 1)))))
        lane_number=$((lane_number + 1))
    done
    rows=$(find_value "$home/header" lanes.$((lane - 1)))
    [ -n "$rows" ] || die "$table has no lane $lane"
    fetch "$table" "$home/table" $((header_bytes + before * row_bytes)) $((rows * row_bytes)) || die "$table is gone"
    awk '
    function member(name) {
        if (!match($0, "\"" name "\"[ ]*:[ ]*[0-9]+")) { print "no " name " in: " $0 > "/dev/stderr"; bad = 1; exit 1 }
        text = substr($0, RSTART, RLENGTH); sub(/.*:[ ]*/, "", text); return text
    }
    { print member("chunk"), member("start"), member("end"), member("offset"), member("length") }
    END { exit bad }' "$home/table" >"$home/rows" || die "a row of $table cannot be read"
}

work() {
    while read -r chunk start end offset length <&4; do
        if exists stop || ! exists plan.json; then
            why=stopped
            return
        fi
        if [ -n "$terminated" ] || ! process_chunk; then
            [ -z "$terminated" ] || why=SIGTERM
            return
        fi
    done 4<"$home/rows"
    why="no work left"
}

# The last beat, after the ticker's; nothing stays behind.
finish() {
    trap - EXIT
    : >"$home/over"
    if [ -n "$ticker" ]; then
        wait "$ticker"
        quote "$why"
        beat_state=ended beat_why=$quoted beat_chunk= beat_item=
        beat
        say "$done_items done, $failed_items failed, $chunks chunks: $why"
    fi
    rm -rf "$home"
}

main() {
    command_text=
    while [ $# -gt 0 ]; do
        case $1 in
        --command) command_text=${2-} && shift ;;
        --command=*) command_text=${1#--command=} ;;
        *) die "unknown option $1; use --command 'prog {input} {output_dir}'" ;;
        esac
        shift
    done
    [ -n "$command_text" ] || die "no command; use --command 'prog {input} {output_dir}'"
    split_command "$command_text" >"$home/words" || die "--command cannot be split into words"
    grouped=
    if command -v setsid >/dev/null; then grouped=setsid; fi
    read_invocation
    read_storage
    check_outputs
    since=$(iso_now)
    check_mount
    ticks
    decimal_of $((now - main_begun))
    startup=$decimal
    beat
    tick &
    ticker=$!
    read_rows
    beat_state=working
    beat
    work
}

# The outer shell: it starts the worker again when a signal has killed it, at most 20 times in a row
# without a settled item.
watch_over() {
    deaths=0 round_of_life=0 ended=
    trap 'ended=yes; kill -TERM "$worker_pid" 2>/dev/null' TERM
    trap 'rm -rf "$OSCAR_BATCH_HOME"' EXIT
    while :; do
        round_of_life=$((round_of_life + 1))
        OSCAR_BATCH_LIFE=$OSCAR_BATCH_HOME/$round_of_life
        export OSCAR_BATCH_LIFE
        # shellcheck disable=SC2086 # for tests: a shell with its option
        ${OSCAR_BATCH_SHELL:-/bin/sh} "$0" "$@" &
        worker_pid=$!
        wait "$worker_pid"
        code=$?
        while [ -n "$ended" ] && kill -0 "$worker_pid" 2>/dev/null; do
            wait "$worker_pid"
            code=$?
        done
        [ "$code" -gt 128 ] && [ -z "$ended" ] || return "$code"
        printf '%s\n' $((code - 128)) 2>/dev/null >"$OSCAR_BATCH_LIFE/signal"
        say "the worker was killed by signal $((code - 128)), starting it again"
        deaths=$((deaths + 1))
        [ ! -e "$OSCAR_BATCH_LIFE/settled" ] || deaths=1
        [ $deaths -le 20 ] || return "$code"
        # Its ticker says so in the beat, kills what it left, and removes its files.
        looks=0
        while [ -d "$OSCAR_BATCH_LIFE" ] && [ $looks -lt 30 ]; do
            looks=$((looks + 1))
            sleep 1
        done
    done
}

umask 077
if [ -z "${OSCAR_BATCH_LIFE-}" ]; then
    OSCAR_BATCH_HOME=$(mktemp -d "${TMPDIR:-/tmp}/oscar-batch.XXXXXX") || exit 1
    export OSCAR_BATCH_HOME
    watch_over "$@"
    exit
fi
home=$OSCAR_BATCH_LIFE
scratch=$home/main
mkdir -p "$scratch" "$home/ticker" || exit 1
printf '%s\n' $$ >"$home/pid"
: >"$home/hand"
: >"$home/chunk"
ticker= terminated= why="an error" item_mark= repeated= key_day=
beat_state=starting beat_why= beat_signal= beat_chunk= beat_item=
chunks=0 done_items=0 failed_items=0 item_ticks=0 item_number=0 startup=null
look_for_s=${OSCAR_BATCH_MOUNT_WAIT_S:-30}
trap finish EXIT
trap 'terminated=x$terminated' TERM
ticks
main_begun=$now
main "$@"
