/* One suite for every engine and every configuration of it: the contract of io/io.h is what they
 * have in common, so what is expected here never depends on which one runs. */

#include "cases.h"
#include "engine_rig.h"

int main(int argc, char **argv)
{
    rig_choose(argc, argv);
    return accept_cases() + recv_cases() + into_cases() + pause_cases() + send_cases() +
           by_file_cases() + call_cases() + file_cases() + share_cases() + turn_cases() +
           open_cases() + forked_cases() + overflow_cases();
}
