namespace GemmaCore.Inputs.Dicom;

/// <summary>
/// What a scrubbed file keeps: what pictures need to be shown, put in order and measured, and nothing that the basic profile of PS3.15 (table E.1-1) removes. Everything that
/// is not listed goes, so an attribute that nobody has thought of goes too.
/// </summary>
internal static class KeptAttributes
{
    private static readonly HashSet<uint> Values =
    [
        // kind of object and picture
        0x0008_0008, 0x0008_0016, 0x0008_0060, 0x0008_0068,
        // how it was taken, in numbers and codes
        0x0018_0015, 0x0018_0020, 0x0018_0021, 0x0018_0022, 0x0018_0023, 0x0018_0050, 0x0018_0060, 0x0018_0080, 0x0018_0081, 0x0018_0082, 0x0018_0084, 0x0018_0086, 0x0018_0087, 0x0018_0088,
        0x0018_0091, 0x0018_1100, 0x0018_1120, 0x0018_1150, 0x0018_1151, 0x0018_1152, 0x0018_1164, 0x0018_1210, 0x0018_1314, 0x0018_5100, 0x0018_5101,
        // where it belongs and lies
        0x0020_0011, 0x0020_0012, 0x0020_0013, 0x0020_0020, 0x0020_0032, 0x0020_0037, 0x0020_0060, 0x0020_0062, 0x0020_1002, 0x0020_1041, 0x0020_9128, 0x0020_9056, 0x0020_9057,
        // pixels
        0x0028_0002, 0x0028_0004, 0x0028_0006, 0x0028_0008, 0x0028_0009, 0x0028_0010, 0x0028_0011, 0x0028_0030, 0x0028_0034, 0x0028_0100, 0x0028_0101, 0x0028_0102, 0x0028_0103, 0x0028_0106,
        0x0028_0107, 0x0028_0120, 0x0028_0301, 0x0028_1040, 0x0028_1041, 0x0028_1050, 0x0028_1051, 0x0028_1052, 0x0028_1053, 0x0028_1054, 0x0028_1056, 0x0028_1101, 0x0028_1102, 0x0028_1103,
        0x0028_1201, 0x0028_1202, 0x0028_1203, 0x0028_2110, 0x0028_2112, 0x0028_2114, 0x0028_3002, 0x0028_3004, 0x0028_3006, 0x7FE0_0001, 0x7FE0_0002, DicomTag.PixelData,
    ];

    private static readonly HashSet<uint> Sequences =
    [
        0x0020_9111, DicomTag.PlanePositions, DicomTag.PlaneOrientations, 0x0028_3000, 0x0028_3010, 0x0028_9110, DicomTag.FrameWindows, DicomTag.FrameRescales, DicomTag.SharedGroups,
        DicomTag.PerFrameGroups,
    ];

    private static readonly HashSet<uint> Uids = [DicomTag.SopInstance, DicomTag.StudyInstance, DicomTag.SeriesInstance, 0x0020_0052, 0x0020_9164];

    /// <summary>Attributes that a file has to have, and may have empty (type 2): tag and value representation.</summary>
    public static IReadOnlyList<(uint Tag, string Vr)> Emptied { get; } =
    [
        (0x0008_0020, "DA"), (0x0008_0030, "TM"), (0x0008_0050, "SH"), (0x0008_0090, "PN"), (0x0010_0010, "PN"), (0x0010_0020, "LO"), (0x0010_0030, "DA"), (0x0010_0040, "CS"),
        (0x0020_0010, "SH"),
    ];

    public static bool KeepsValue(uint tag) => Values.Contains(tag);

    /// <summary>A sequence whose items keep what is listed here.</summary>
    public static bool KeepsItems(uint tag) => Sequences.Contains(tag);

    /// <summary>A name of an object, which gets a new one.</summary>
    public static bool Renames(uint tag) => Uids.Contains(tag);
}
