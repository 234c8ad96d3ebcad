// Original file: hotloop/v1/intake.proto


export interface DeclareTableReply {
}

export interface DeclareTableReply__Output {
}
