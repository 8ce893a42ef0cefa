# The formatters and checkers, in the versions that Debian 12 has. Others format otherwise and find
# other things, so their word does not count. For tools/format and tools/lint.

declare -A tool_version=(
    [clang-format]=14 [clang-tidy]=14 [cppcheck]=2.10 [black]=23.1 [flake8]=5.0
)

# Sets `tool` to the program of that name in the right version; else says that it is left out.
find_tool() { # name, what it is for
    local version=${tool_version[$1]}
    for tool in "$1-$version" "$1"; do
        if "$tool" --version 2>/dev/null | grep -Eq "(^| )$version(\.|$)"; then return 0; fi
    done
    echo "$0: leaves out $2: $1 $version is not installed"
    return 1
}

# The files below the folders of the project that match find's expression, each ended by NUL.
own_files() {
    find include src tests bench tools -path tools/subprojects -prune -o \
        -type f \( "$@" \) -print0
}
own_c() { own_files -name '*.[ch]'; }
own_python() { own_files -name '*.py' -o -path bench/torc-bench; }
