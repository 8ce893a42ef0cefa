/* void *fiber_switch(void **save_sp, void *to_sp, void *value)
 * System V AMD64 ABI, 3.2.1: rbx, rbp and r12-r15 belong to the caller; so do the x87
 * control word and mxcsr, which a handler must not change.
 * Leaves `value` in rax for the stack that is entered. The frame description holds at every
 * instruction, so that debuggers and profilers can unwind through a switch. */
    .text
    .globl fiber_switch
    .hidden fiber_switch
    .type fiber_switch, @function
    .p2align 4
fiber_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    movq %rdx, %rax
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret
    .cfi_endproc
    .size fiber_switch, . - fiber_switch

/* Entry of a new fiber: the switch "returns" here with `value` in rax, and the stack aligned as
 * after a call. The undefined return address tells unwinders that there is no caller. */
    .globl fiber_entry
    .hidden fiber_entry
    .type fiber_entry, @function
    .p2align 4
fiber_entry:
    .cfi_startproc
    .cfi_undefined %rip
    endbr64
    movq %rax, %rdi
    call fiber_main
    ud2
    .cfi_endproc
    .size fiber_entry, . - fiber_entry

    .section .note.GNU-stack, "", @progbits

/* Every indirect call or jump finds an endbr64. A shadow stack is not supported: a switch returns to
 * an address that is not on it. System V AMD64 ABI, "Program Property". */
    .section .note.gnu.property, "a", @note
    .p2align 3
    .long 4, 16, 5 /* sizes of the name and of what follows it, NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000002, 4 /* GNU_PROPERTY_X86_FEATURE_1_AND */
    .long 1, 0          /* IBT, not SHSTK; padding */
