-- The predecessor's database, invented: its ORM's names and types, and the oddities that its real rows have.
CREATE TABLE "Vehicle" (
  id SERIAL PRIMARY KEY, parc TEXT NOT NULL UNIQUE, type TEXT, modele TEXT, marque TEXT, subtitle TEXT, immat TEXT,
  etat TEXT, "miseEnCirculation" TIMESTAMP(3), energie TEXT, description TEXT, history TEXT, caracteristiques TEXT,
  gallery TEXT, "backgroundImage" TEXT, "backgroundPosition" TEXT, "isPublic" BOOLEAN NOT NULL DEFAULT false,
  fuel DOUBLE PRECISION, mileage DOUBLE PRECISION, "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updatedAt" TIMESTAMP(3) NOT NULL
);
CREATE TABLE "Event" (
  id TEXT PRIMARY KEY, title TEXT NOT NULL, date TIMESTAMP(3) NOT NULL, time TEXT, location TEXT, description TEXT,
  "helloAssoUrl" TEXT, layout TEXT, "adultPrice" NUMERIC(10, 2), "childPrice" NUMERIC(10, 2), "vehicleId" TEXT,
  status TEXT NOT NULL DEFAULT 'DRAFT', extras JSONB, "maxParticipants" INTEGER, "currentParticipants" INTEGER,
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP(3) NOT NULL
);
CREATE TYPE "MembershipStatus" AS ENUM ('PENDING', 'ACTIVE', 'EXPIRED', 'SUSPENDED', 'CANCELLED');
CREATE TABLE members (
  id TEXT PRIMARY KEY, "firstName" TEXT NOT NULL, "lastName" TEXT NOT NULL, email TEXT NOT NULL, phone TEXT,
  address TEXT, city TEXT, "postalCode" TEXT, "birthDate" TIMESTAMP(3), "memberNumber" TEXT, matricule TEXT,
  "membershipType" TEXT NOT NULL DEFAULT 'STANDARD', "membershipStatus" "MembershipStatus" NOT NULL DEFAULT 'PENDING',
  "membershipStartDate" TIMESTAMP(3), "membershipEndDate" TIMESTAMP(3), "paymentAmount" DOUBLE PRECISION,
  "paymentMethod" TEXT, newsletter BOOLEAN NOT NULL DEFAULT true, "hasLinkedAccess" BOOLEAN NOT NULL DEFAULT false,
  notes TEXT, password TEXT, "mustChangePassword" BOOLEAN NOT NULL DEFAULT false, role TEXT NOT NULL DEFAULT 'MEMBER',
  status TEXT NOT NULL DEFAULT 'active', permissions JSONB, "createdBy" TEXT,
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP(3) NOT NULL
);
CREATE TABLE finance_transactions (id SERIAL PRIMARY KEY, label TEXT, amount NUMERIC(10, 2));
CREATE TABLE "RetroNews" (id SERIAL PRIMARY KEY, title TEXT);
CREATE TABLE _prisma_migrations (id TEXT PRIMARY KEY, migration_name TEXT NOT NULL);

INSERT INTO "Vehicle" (id, parc, type, modele, etat, "miseEnCirculation", description, caracteristiques, gallery,
  "isPublic", fuel, mileage, "createdAt", "updatedAt")
VALUES
  (11, '920', 'Bus', 'Citaro ♿', 'Préservé', '2001-06-30 22:00:00', E'Un « standard »,\n\tà plancher bas \\ "rapide".',
   '[{"label": "Places", "value": "31"}]', '["/920-1.jpg", "/920-2.jpg"]', true, 62.5, 412000, '2025-10-01 08:00:00.123',
   '2025-10-02 09:30:00.456'),
  (12, '415', 'Bus', 'PR 100', 'En restauration', '1996-10-31 23:00:00', NULL, '[]', '[]', false, NULL, NULL,
   '2025-10-01 08:00:00', '2025-10-01 07:59:59.999'),
  (40, '1203', NULL, 'Agora', 'disponible', NULL, 'Réserve', 'pas du JSON', NULL, true, 0, 0, '2025-10-05 10:00:00',
   '2025-10-05 10:00:00');
INSERT INTO "Event" (id, title, date, time, location, "adultPrice", "childPrice", "vehicleId", status, extras,
  "maxParticipants", "currentParticipants", "createdAt", "updatedAt")
VALUES
  ('journee-portes-ouvertes', 'Journée portes ouvertes', '2025-09-19 22:00:00', '14:00', 'Dépôt', 5.00, 2.50, '920',
   'PUBLISHED', '{"isVisible": true, "note": 1.10}', NULL, 12, '2025-08-01 10:00:00', '2025-08-02 10:00:00'),
  ('sortie-interne', 'Sortie interne', '2025-11-11 09:00:00', NULL, NULL, NULL, NULL, '777', 'DRAFT', NULL, 30, 0,
   '2025-08-01 10:00:00', '2025-08-02 10:00:00'),
  ('prix-impossible', 'Prix impossible', '2025-12-01 09:00:00', NULL, NULL, -3, NULL, NULL, 'DRAFT', NULL, NULL, NULL,
   '2025-08-01 10:00:00', '2025-08-02 10:00:00');
INSERT INTO members (id, "firstName", "lastName", email, "birthDate", matricule, "membershipStatus", "paymentAmount",
  "paymentMethod", password, role, status, permissions, "createdAt", "updatedAt")
VALUES
  ('cm3exampleaaaa0001', 'Camille', 'Exemple', 'camille@example.org', '1990-04-30 22:00:00', 'c.exemple', 'ACTIVE', 25,
   'CASH', 'ancien-mot-de-passe-1', 'ADMIN', 'active', '["VEHICLES_READ", "ADMIN"]', '2025-10-01 08:00:00',
   '2025-10-02 08:00:00'),
  ('cm3examplebbbb0002', 'Dominique', 'Modèle', 'Dominique.Modele@example.org', NULL, '', 'PENDING', NULL, NULL,
   '$2b$12$abcdefghijklmnopqrstuuPCLs1JH0Y6k0pGmB0vFZbqwJbqVQH1S', 'PARTENAIRE', 'ACTIVE', '[]',
   '2025-10-01 08:00:00', '2025-10-02 08:00:00'),
  ('cm3examplecccc0003', 'Sacha', 'Sans-Adresse', 'sacha', NULL, 's.exemple', 'ACTIVE', NULL, 'CHECK', NULL, 'MEMBER',
   'active', NULL, '2025-10-01 08:00:00', '2025-10-02 08:00:00');
INSERT INTO finance_transactions (label, amount) VALUES ('Carburant', -80.00), ('Adhésion', 25.00);
INSERT INTO "RetroNews" (title) VALUES ('Numéro 1');
INSERT INTO _prisma_migrations VALUES ('1', '20250101_init');
