import { HotloopError } from '@hotloop/proto/errors.ts';
import { createTransport } from 'nodemailer';

export interface MailSettings {
  /** smtp://user:password@host:port or smtps://… */
  readonly url: string;
  readonly from: string;
}

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** Message id, the same for each try of one message. */
  readonly key: string;
}

/** Sends one mail. Throws FAILED_PRECONDITION without settings, UNAVAILABLE if the server does not accept it. */
export async function sendEmail(
  settings: MailSettings | undefined,
  mail: Mail,
  timeoutMs: number,
): Promise<void> {
  if (!settings)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'no mail server is set: give HOTLOOP_SMTP_URL and HOTLOOP_MAIL_FROM',
    );
  const transport = createTransport({
    url: settings.url,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  try {
    await transport.sendMail({
      from: settings.from,
      to: mail.to,
      subject: mail.subject,
      text: mail.text,
      messageId: `<${mail.key.replaceAll('/', '.')}@hotloop>`,
    });
  } catch (cause) {
    throw new HotloopError('UNAVAILABLE', 'the mail server did not take the message', { cause });
  } finally {
    transport.close();
  }
}
