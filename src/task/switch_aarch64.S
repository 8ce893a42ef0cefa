/* void *fiber_switch(void **save_sp, void *to_sp, void *value)
 * Procedure Call Standard for the Arm 64-bit Architecture, 6.1: x19-x29, the link register and
 * d8-d15 belong to the caller. Leaves `value` in x0 for the stack that is entered. */
    .text
    .globl fiber_switch
    .hidden fiber_switch
    .type fiber_switch, %function
    .p2align 4
fiber_switch:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #160
    .cfi_def_cfa_offset 160
    stp x29, x30, [sp, #0]
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    mov x0, x2
    ldp x29, x30, [sp, #0]
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size fiber_switch, . - fiber_switch

    .globl fiber_entry
    .hidden fiber_entry
    .type fiber_entry, %function
    .p2align 4
fiber_entry:
    .cfi_startproc
    .cfi_undefined x30
    bl fiber_main
    brk #1
    .cfi_endproc
    .size fiber_entry, . - fiber_entry

    .section .note.GNU-stack, "", %progbits

/* Every indirect call finds a BTI; fiber_entry is entered by a return, which needs none. Return
 * addresses are not signed here. ELF for the Arm 64-bit Architecture, "Program Property". */
    .section .note.gnu.property, "a", %note
    .p2align 3
    .word 4, 16, 5 /* sizes of the name and of what follows it, NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .word 0xc0000000, 4 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
    .word 1, 0          /* BTI, not PAC; padding */
