/**
 * Keys and certificates, and the calls between agent and controller over HTTPS.
 * Types to know: `KeyPair`, `CertificateRequest`. This room decides nothing about addresses.
 */
export { type CertificateRequest, certificateEndMs, createCa, issueCertificate, type KeyPair } from './pki.ts'
