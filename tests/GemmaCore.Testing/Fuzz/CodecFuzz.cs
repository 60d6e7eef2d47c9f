using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Testing.Fuzz;

/// <summary>
/// Damages the coded pixels of DICOM files, by themselves or with the file around them; only <see cref="InputException"/> may come out, or a picture of the size that the header said.
/// </summary>
public static class CodecFuzz
{
    private static readonly string[] LosslessJpegFiles = ["jpeg57_grey16_4.dcm", "jpeg70_colour8.dcm", "jpeg70_dot12.dcm", "jpeg57_grey12_shift2.dcm", "jpeg70_flat16.dcm"];

    private static readonly string[] JpegLsFiles = ["ls_grey12_presets.dcm", "near2_grey16.dcm", "ls_flat16.dcm", "ls_colour8_l.dcm", "near2_colour8_s.dcm", "ls_colour8_n.dcm", "ls_dot12.dcm"];

    private static readonly string[] Jpeg2000Files =
    [
        "j2k_grey16_mode63.j2k", "j2k_grey16_mode5.j2k", "j2k_colour8_layers.j2k", "j2k_signed12.j2k", "j2k_colour8_irreversible.j2k", "j2k_grey16_RPCL.j2k", "j2k_colour8_PCRL.j2k", "j2k_colour8_changes.j2k",
        "j2k_colour8_partsR.j2k", "j2k_grey12_shifted.j2k", "j2k_halved8.j2k", "jp2_colour8.jp2", "j2k_dot12_1.j2k",
    ];

    /// <summary>Lossless JPEG; also with restart intervals and a scan for each component.</summary>
    public static FuzzCount LosslessJpeg(long iterations, int seed) =>
        DicomFuzz.Run(iterations, seed, [.. LosslessJpegFiles.Select(Coded), Own(new LosslessJpegWriter(9, 8, 3, 8, 5, RestartRows: 2, IsInterleaved: false))]);

    /// <summary>JPEG-LS.</summary>
    public static FuzzCount JpegLs(long iterations, int seed) => DicomFuzz.Run(iterations, seed, [.. JpegLsFiles.Select(Coded)]);

    /// <summary>JPEG 2000.</summary>
    public static FuzzCount Jpeg2000(long iterations, int seed) => DicomFuzz.Run(iterations, seed, [.. Jpeg2000Files.Select(Wrapped)]);

    // The fragment lies at the end of the file, in front of the mark that ends them.
    private static (byte[] File, int CodedAt) Coded(string name)
    {
        byte[] file = File.ReadAllBytes(Goldens.Path("codecs/" + name));
        return (file, file.AsSpan().LastIndexOf((byte[])[0xFF, 0xD8, 0xFF]));
    }

    private static (byte[] File, int CodedAt) Wrapped(string name)
    {
        CodecPicture picture = CodecPicture.Find(Path.GetFileNameWithoutExtension(name).Split('_')[1]);
        return Packed(picture.Dicom(), "1.2.840.10008.1.2.4.91", File.ReadAllBytes(Goldens.Path("codecs/" + name)));
    }

    private static (byte[] File, int CodedAt) Own(LosslessJpegWriter writer)
    {
        var picture = new CodecPicture("", writer.Width, writer.Height, writer.Components, writer.Bits, false, 3);
        return Packed(picture.Dicom(), "1.2.840.10008.1.2.4.57", writer.Encode(picture.Values()));
    }

    private static (byte[] File, int CodedAt) Packed(DicomWriter writer, string syntax, byte[] stream)
    {
        writer.TransferSyntax = syntax;
        byte[] file = writer.Fragments([], stream).File();
        return (file, file.AsSpan().LastIndexOf(stream.AsSpan(0, Math.Min(stream.Length, 64))));
    }
}
