namespace GemmaCore.Inputs.Dicom;

/// <summary>The tags that are read here, group in the upper 16 bits.</summary>
internal static class DicomTag
{
    public const uint MetaLength = 0x0002_0000;
    public const uint MediaStorageInstance = 0x0002_0003;
    public const uint TransferSyntax = 0x0002_0010;
    public const uint ImageType = 0x0008_0008;
    public const uint SopClass = 0x0008_0016;
    public const uint SopInstance = 0x0008_0018;
    public const uint Modality = 0x0008_0060;
    public const uint StudyInstance = 0x0020_000D;
    public const uint SeriesInstance = 0x0020_000E;
    public const uint AcquisitionNumber = 0x0020_0012;
    public const uint InstanceNumber = 0x0020_0013;
    public const uint Position = 0x0020_0032;
    public const uint Orientation = 0x0020_0037;
    public const uint PlanePositions = 0x0020_9113;
    public const uint PlaneOrientations = 0x0020_9116;
    public const uint Samples = 0x0028_0002;
    public const uint Photometric = 0x0028_0004;
    public const uint Planar = 0x0028_0006;
    public const uint Frames = 0x0028_0008;
    public const uint Rows = 0x0028_0010;
    public const uint Columns = 0x0028_0011;
    public const uint BitsAllocated = 0x0028_0100;
    public const uint BitsStored = 0x0028_0101;
    public const uint HighBit = 0x0028_0102;
    public const uint Representation = 0x0028_0103;
    public const uint BurnedIn = 0x0028_0301;
    public const uint WindowCentre = 0x0028_1050;
    public const uint WindowWidth = 0x0028_1051;
    public const uint RescaleIntercept = 0x0028_1052;
    public const uint RescaleSlope = 0x0028_1053;
    public const uint WindowExplanation = 0x0028_1055;
    public const uint WindowFunction = 0x0028_1056;
    public const uint RedDescriptor = 0x0028_1101;
    public const uint RedTable = 0x0028_1201;
    public const uint ModalityTables = 0x0028_3000;
    public const uint TableDescriptor = 0x0028_3002;
    public const uint Table = 0x0028_3006;
    public const uint WindowTables = 0x0028_3010;
    public const uint FrameWindows = 0x0028_9132;
    public const uint FrameRescales = 0x0028_9145;
    public const uint SharedGroups = 0x5200_9229;
    public const uint PerFrameGroups = 0x5200_9230;
    public const uint PixelData = 0x7FE0_0010;
    public const uint Item = 0xFFFE_E000;
    public const uint ItemEnd = 0xFFFE_E00D;
    public const uint SequenceEnd = 0xFFFE_E0DD;

    /// <summary>A tag as the standard writes it.</summary>
    public static string Spell(uint tag) => $"({tag >> 16:X4},{tag & 0xFFFF:X4})";
}
