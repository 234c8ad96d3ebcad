import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { get, post, upload } from './http.ts';

/** A file of corrections as it was checked; nothing of it counts before somebody approves it. */
export interface CorrectionUpload {
  readonly uploadId: string;
  readonly model: string;
  readonly state: string;
  readonly uploadedBy: string;
  readonly approvedBy: string | null;
  readonly note: string;
  readonly rows: number;
  readonly accepted: number;
  readonly refused: number;
  readonly problems: readonly { readonly line: number; readonly problem: string }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly createdAt: string;
}

export const useUploads = (model: string) =>
  useQuery({
    queryKey: ['uploads', model],
    queryFn: async () =>
      (
        await get<{ uploads: readonly CorrectionUpload[] }>(
          `/v1/corrections?model=${encodeURIComponent(model)}`,
        )
      ).uploads,
  });

export function useUploadCorrections(model: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (file: File) =>
      upload<CorrectionUpload>(
        `/v1/models/${encodeURIComponent(model)}/corrections/file?note=${encodeURIComponent(file.name)}`,
        file,
        'application/octet-stream',
      ),
    onSettled: () => client.invalidateQueries({ queryKey: ['uploads'] }),
  });
}

export function useUploadAction(uploadId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (action: 'approve' | 'withdraw') =>
      post<CorrectionUpload>(`/v1/corrections/${encodeURIComponent(uploadId)}/${action}`, {}),
    onSettled: () => client.invalidateQueries(),
  });
}
