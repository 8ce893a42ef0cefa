#pragma once
/* The engine tests, by subject. Each function runs its tests on the rig's engine and returns how
 * many failed. */

int accept_cases(void);
int recv_cases(void);
int into_cases(void);
int pause_cases(void);
int send_cases(void);
int by_file_cases(void);
int call_cases(void);
int file_cases(void);
int share_cases(void);
int turn_cases(void);
int open_cases(void);
int forked_cases(void);
int overflow_cases(void);
